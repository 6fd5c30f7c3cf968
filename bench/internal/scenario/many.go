//go:build linux

package scenario

import "tidewire/bench/internal/contender"

// manyApps is the tenants' ordinary day: many small channels of many apps.
func manyApps() Scenario {
	t := traffic{apps: 100, channels: 10, listeners: 5, publishers: 4, waiting: 64}
	return Scenario{
		Name:       "many-apps",
		About:      "100 apps x 10 channels x 5 subscribers x 200 B, 4 publishers of signed requests as fast as they are answered",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 100, Buffer: naiveBuffer},
		Metrics:    perPublish(),
		Run:        t.run,
	}
}

// manyChannels is the same within one app.
func manyChannels() Scenario {
	t := traffic{apps: 1, channels: 1000, listeners: 5, publishers: 4, waiting: 64}
	return Scenario{
		Name:       "many-channels",
		About:      "1 app x 1,000 channels x 5 subscribers x 200 B, 4 publishers as fast as they are answered",
		Contenders: everyone(),
		Options:    contender.Options{Apps: 1, Buffer: naiveBuffer},
		Metrics:    perPublish(),
		Run:        t.run,
	}
}

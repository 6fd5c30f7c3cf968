package redis_test

import (
	"testing"

	"tidewire/channels/redis"
)

// Whatever an index in Redis names is either the name of one topic or of none.
func FuzzTopicNamed(f *testing.F) {
	for _, s := range []string{"", ":", "1:", "1:room", "1:2:3", "x:room", "-1:room", "1:presence-\xff", "12"} {
		f.Add(s, 0)
		f.Add(s, 63)
	}
	f.Fuzz(func(t *testing.T, s string, partition int) {
		topic, ok := redis.TopicNamed(s, partition)
		if !ok {
			return
		}
		if redis.TopicName(topic) != s {
			t.Fatalf("%q was read as %+v", s, topic)
		}
		if topic.Partition() != partition {
			t.Fatalf("%q is not of partition %d", s, partition)
		}
		if _, err := redis.ShardChannel(topic); err != nil {
			t.Fatalf("%q has no names: %v", s, err)
		}
	})
}

package pusher

import (
	"encoding/json"
	"fmt"
	"os"
)

// App is one app of the bench: the same identity is given to every contender.
type App struct {
	ID     string `json:"id"`     // decimal digits
	Key    string `json:"key"`    // 20 hex characters
	Secret string `json:"secret"` // 20 hex characters
}

// Apps returns the first n apps. The i-th is the same in every call and every
// process, so a run can be repeated.
func Apps(n int) []App {
	apps := make([]App, n)
	for i := range apps {
		apps[i] = App{
			ID:     fmt.Sprintf("%d", 900001+i),
			Key:    fmt.Sprintf("be1c%016x", i+1),
			Secret: fmt.Sprintf("5ec2%016x", i+1),
		}
	}
	return apps
}

// WriteApps stores apps as JSON in the file path, readable by its owner only.
func WriteApps(path string, apps []App) error {
	raw, err := json.Marshal(apps)
	if err != nil {
		return fmt.Errorf("encode apps: %w", err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return fmt.Errorf("write apps file: %w", err)
	}
	return nil
}

// ReadApps reads what [WriteApps] wrote.
func ReadApps(path string) ([]App, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read apps file: %w", err)
	}
	var apps []App
	if err := json.Unmarshal(raw, &apps); err != nil {
		return nil, fmt.Errorf("parse apps file %s: %w", path, err)
	}
	if len(apps) == 0 {
		return nil, fmt.Errorf("apps file %s names no app", path)
	}
	return apps, nil
}

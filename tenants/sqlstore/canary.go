package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm/clause"

	"tidewire/tenants"
)

// The canary is a known text sealed with the master key. A process that cannot
// open it would seal secrets the others cannot read.
const (
	canaryName = "master_key_canary"
	canaryText = "tidewire"
)

type metaRow struct {
	Name  string `gorm:"primaryKey"`
	Value string
}

// TableName implements gorm's Tabler.
func (metaRow) TableName() string { return "meta" }

var canaryPlace = tenants.SealedPlace("meta", canaryName, "value")

// checkCanary tells whether the master key is the database's own. A database
// without a canary, or without a schema, has no key yet. It writes nothing.
func (d *Database) checkCanary(ctx context.Context) error {
	if d.sealer == nil {
		return nil
	}
	steps, err := d.Status(ctx)
	if err != nil {
		return err
	}
	if len(steps) == 0 || steps[0].AppliedAt.IsZero() {
		return nil
	}
	sealed, err := d.readCanary(ctx)
	if err != nil || sealed == "" {
		return err
	}
	return d.openCanary(sealed)
}

// readCanary returns "" if there is none.
func (d *Database) readCanary(ctx context.Context) (string, error) {
	var rows []metaRow
	if err := d.gorm.WithContext(ctx).Where("name = ?", canaryName).Limit(1).Find(&rows).Error; err != nil {
		return "", fmt.Errorf("read the master key's canary: %w", err)
	}
	if len(rows) == 0 {
		return "", nil
	}
	return rows[0].Value, nil
}

func (d *Database) openCanary(sealed string) error {
	text, err := d.sealer.Open(sealed, canaryPlace)
	if err == nil && text != canaryText {
		err = errors.New("unexpected content")
	}
	if err != nil {
		return fmt.Errorf("the master key does not belong to this database (%w); set TIDEWIRE_MASTER_KEY to the key "+
			"the database was created with, or put that key's %s back into the data folder", err, tenants.MasterKeyFile)
	}
	return nil
}

// plantCanary makes the canary if there is none. Of processes that start at the
// same time one makes it, and the others check theirs against it.
func (d *Database) plantCanary(ctx context.Context) error {
	if sealed, err := d.readCanary(ctx); err != nil || sealed != "" {
		return err
	}
	sealed, err := d.sealer.Seal(canaryText, canaryPlace)
	if err != nil {
		return fmt.Errorf("seal the canary: %w", err)
	}
	row := metaRow{Name: canaryName, Value: sealed}
	if err := d.gorm.WithContext(ctx).Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
		return fmt.Errorf("store the canary: %w", err)
	}
	return d.checkCanary(ctx)
}

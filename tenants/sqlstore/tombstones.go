package sqlstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// The kinds of names that are never given out twice.
const (
	goneTenant = "tenant" // slugs
	goneApp    = "app"    // ids
	goneKey    = "key"    // public names
)

// tombstoneRow remembers that a name was used, and not what it was: a removed
// tenant must leave nothing of itself behind.
type tombstoneRow struct {
	Kind   string `gorm:"primaryKey"`
	IDHash string `gorm:"primaryKey;column:id_hash"`
	At     int64
}

// TableName implements gorm's Tabler.
func (tombstoneRow) TableName() string { return "tombstones" }

func tombstoneHash(kind, name string) string {
	sum := sha256.Sum256([]byte("tidewire tombstone " + kind + " " + name))
	return hex.EncodeToString(sum[:])
}

func tombstoned(tx *gorm.DB, kind, name string) (bool, error) {
	var rows int64
	err := tx.Model(&tombstoneRow{}).Where("kind = ? AND id_hash = ?", kind, tombstoneHash(kind, name)).Count(&rows).Error
	if err != nil {
		return false, fmt.Errorf("look for a tombstone: %w", err)
	}
	return rows > 0, nil
}

func bury(tx *gorm.DB, kind string, names ...string) error {
	const batch = 500
	rows := make([]tombstoneRow, len(names))
	for i, name := range names {
		rows[i] = tombstoneRow{Kind: kind, IDHash: tombstoneHash(kind, name), At: time.Now().UnixMilli()}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := tx.Clauses(clause.OnConflict{DoNothing: true}).CreateInBatches(rows, batch).Error; err != nil {
		return fmt.Errorf("reserve names that were used: %w", err)
	}
	return nil
}

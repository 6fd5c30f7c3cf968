package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm/clause"
)

const databaseIDName = "database_id"

// DatabaseID names this database among all there are, for what is shared with
// others and must not be mixed up. It is made when it is asked for first, and goes
// with the data when they are moved or restored.
func (s *Store) DatabaseID(ctx context.Context) (string, error) {
	db := s.gorm.WithContext(ctx)
	row := metaRow{Name: databaseIDName, Value: newID("db", time.Now())}
	if err := db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
		return "", fmt.Errorf("name the database: %w", err)
	}
	if err := db.Where("name = ?", databaseIDName).Take(&row).Error; err != nil {
		return "", fmt.Errorf("read the name of the database: %w", err)
	}
	return row.Value, nil
}

package sqlstore

import (
	"context"
	"log/slog"
	"time"

	"gorm.io/gorm/logger"
	"gorm.io/gorm/utils"
)

// slowQuery is how long a query may take before the log mentions it.
const slowQuery = 500 * time.Millisecond

// queryLog tells of slow queries. It never shows a statement: what gorm passes
// has the values filled in, its ParameterizedQueries switch notwithstanding
// (Scan goes past it). Errors are not its business: they are returned.
type queryLog struct{ log *slog.Logger }

var _ logger.Interface = queryLog{}

// LogMode implements logger.Interface; the handler of the slog decides instead.
func (q queryLog) LogMode(logger.LogLevel) logger.Interface { return q }

// Info implements logger.Interface. gorm uses it for hints to its programmer.
func (queryLog) Info(context.Context, string, ...any) {}

// Warn implements logger.Interface, see Info.
func (queryLog) Warn(context.Context, string, ...any) {}

// Error implements logger.Interface, see Info.
func (queryLog) Error(context.Context, string, ...any) {}

// Trace implements logger.Interface. It is called after every query.
func (q queryLog) Trace(ctx context.Context, begin time.Time, _ func() (string, int64), _ error) {
	if took := time.Since(begin); took >= slowQuery {
		q.log.WarnContext(ctx, "slow database query", "took", took, "at", utils.FileWithLineNum())
	}
}

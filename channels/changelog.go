package channels

import "context"

// ChangeLog keeps the changes of all nodes until they are taken over. The change
// is appended in the step that makes it, so there is no moment in which one
// exists without the other.
type ChangeLog interface {
	// ReadChanges returns the oldest changes of each partition, in its order, about
	// limit at most, and whether there are more. Each has an ID.
	ReadChanges(ctx context.Context, limit int) (cs []Change, more bool, err error)
	// ForgetChanges removes what was read. Removing something twice is no error.
	ForgetChanges(ctx context.Context, cs []Change) error
}

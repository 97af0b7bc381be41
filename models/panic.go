package models

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// PanicError is a recovered panic.
type PanicError struct {
	Value any
	// Stack is that of the goroutine, as debug.Stack returns it.
	Stack []byte
}

// Error leaves out the stack; see ErrorAttrs.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// WithoutPanic calls f and returns a panic as a *PanicError.
func WithoutPanic(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
	}()
	return f()
}

// ErrorAttrs returns the attributes of a log line about an error: "error", and "stack"
// if it is a panic.
func ErrorAttrs(err error) []any {
	attrs := []any{"error", err}
	var panicked *PanicError
	if errors.As(err, &panicked) {
		attrs = append(attrs, "stack", string(panicked.Stack))
	}
	return attrs
}

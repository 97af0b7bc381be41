package models

// ForgetRunningPushes clears the list of running pushes, as a restart of the process
// does.
func (s *Store) ForgetRunningPushes() { s.shared.running.ids.Clear() }

// KeptStatements is keptStatements.
const KeptStatements = keptStatements

// OpenPreparing is openPreparing.
var OpenPreparing = openPreparing

// AfterEnd is afterEnd.
func (s *Store) AfterEnd(f func(committed bool)) { s.afterEnd(f) }

package models

// ForgetRunningPushes makes the store know as little of running pushes as after
// a crash of its process.
func (s *Store) ForgetRunningPushes() { s.shared.running.ids.Clear() }

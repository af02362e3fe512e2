package chat

// Access is what is kept of a user for authentication. The zero Access is that of a
// user of whom nothing is known.
type Access struct {
	User      UserID
	NotBefore int64 // Unix seconds: tokens made before are refused; 0: none were revoked
	Claimed   bool  // the application has a user with this id, so no guest may use it
}

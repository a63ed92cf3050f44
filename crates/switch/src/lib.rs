//! Call control: contexts, sessions, routes and slots

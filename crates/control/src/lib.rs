//! The requests and answers of the control sockets

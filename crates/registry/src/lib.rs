//! What is known beyond one process: devices and their subscriptions

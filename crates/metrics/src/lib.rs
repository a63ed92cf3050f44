//! Prometheus metrics made from the stats pages

//! The master side of the MMDVM (G4KLX Homebrew) protocol

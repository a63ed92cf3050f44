//! What happened, as the outside sees it

//! The Store trait and its homes.

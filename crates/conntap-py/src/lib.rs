//! `conntap._core`: a list of names with conversions, no logic.

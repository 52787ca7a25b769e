//! Nothing but its tests, in `tests/e2e`: whole builds by the built program, on real disks.

//! What the whole-system tests share, beside `tests/e2e` (whole builds by the built program, on real disks): the
//! stack's template as data ([`template`]), the rights that its roles give ([`roles`], [`iam`]), and where the tools
//! are that look at it ([`tools`]); and the tests that every implementation of the controller's store passes
//! (`contract`).

#[cfg(feature = "contract")]
pub mod contract;
pub mod iam;
#[cfg(feature = "moto")]
pub mod moto;
pub mod roles;
pub mod template;
pub mod tools;

//! Types of variables, and the conversion of values to them.

mod convert;
mod parse;
mod shape;
mod unify;

pub use convert::ConvertError;
pub(crate) use convert::{DEFERRED, required, to_bool, to_number, to_text};
pub(crate) use parse::parse_type;
pub use shape::{Attribute, Type};
pub(crate) use unify::unify;

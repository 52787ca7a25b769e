//! Expressions and files as Packer users write them, and what they come to.

mod expressions;
mod support;

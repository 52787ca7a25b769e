//! The evaluation of expressions and templates.

mod calls;
mod evaluator;
mod expressions;
mod iterators;
mod literals;
mod operators;
mod steps;
mod templates;

pub use evaluator::Evaluator;
pub use literals::{evaluate_literal, parse_type};

//! Functions on numbers.

use bigdecimal::num_bigint::BigInt;

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, number::Number, types::to_number, value::Value};

/// The longest text of `parseint`: longer ones are larger than any number.
const MAX_DIGITS: usize = 2000;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abs", &["number"], |a| Ok(a.number(0)?.abs().into())),
    Function::new("ceil", &["number"], |a| Ok(a.number(0)?.round_to_integer(true).into())),
    Function::new("floor", &["number"], |a| Ok(a.number(0)?.round_to_integer(false).into())),
    Function::new("log", &["number", "base"], |a| of_floats(a, |number, base| number.ln() / base.ln())),
    Function::new("max", &["number", "numbers..."], |a| extreme(a, |one, best| one > best)),
    Function::new("min", &["number", "numbers..."], |a| extreme(a, |one, best| one < best)),
    Function::new("parseint", &["text", "base"], parseint),
    Function::new("pow", &["number", "power"], |a| of_floats(a, f64::powf)),
    Function::new("signum", &["number"], |a| Ok(a.number(0)?.signum().into())),
];

/// Packer computes these with 64-bit floats, too.
fn of_floats(arguments: &Arguments<'_>, of: fn(f64, f64) -> f64) -> Result<Value, Fault> {
    let result = of(arguments.number(0)?.to_f64(), arguments.number(1)?.to_f64());
    let number = Number::from_f64(result).ok_or_else(|| Fault::new("the result is infinite or no number"))?;
    Ok(number.into())
}

fn extreme(arguments: &Arguments<'_>, is_better: fn(&Number, &Number) -> bool) -> Result<Value, Fault> {
    let mut best = arguments.number(0)?.into_owned();
    for (index, value) in arguments.rest(1) {
        let number = to_number(value).map_err(|error| Fault::new(error).argument(index))?;
        if is_better(&number, &best) {
            best = number.into_owned();
        }
    }
    Ok(best.into())
}

fn parseint(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let text = arguments.text(0)?;
    let base = u32::try_from(arguments.integer(1)?).ok().filter(|base| (2..=62).contains(base));
    let base = base.ok_or_else(|| Fault::new("a base from 2 to 62 is required").argument(1))?;
    let fault = || Fault::new(format!("{text:?} is no integer in base {base}")).argument(0);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(&text);
    if unsigned.is_empty() || unsigned.len() > MAX_DIGITS {
        return Err(fault());
    }
    let mut integer = BigInt::from(0);
    for c in unsigned.chars() {
        let digit = digit(c, base).ok_or_else(fault)?;
        integer = integer * base + digit;
    }
    let integer = if text.starts_with('-') { -integer } else { integer };
    let number = Number::from_integer(integer).ok_or_else(|| Fault::new("the number is too large").argument(0))?;
    Ok(number.into())
}

/// Returns the value of a digit: above base 36, capitals come after small letters.
fn digit(c: char, base: u32) -> Option<u32> {
    match c {
        'A'..='Z' if base > 36 => Some(u32::from(c) - u32::from('A') + 36).filter(|digit| *digit < base),
        c => c.to_digit(base.min(36)),
    }
}

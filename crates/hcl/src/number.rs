//! HCL's numbers: decimal and exact, where Packer has binary ones of 512 bits.

use std::{cmp::Ordering, fmt, num::NonZeroU64, str::FromStr};

use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive as _, Zero as _, num_bigint::BigInt};

/// The digits that a result is rounded to: as many as the 512 bits of Packer's numbers hold.
const DIGITS: u64 = 154;

/// How many of the digits may be wrong after a division.
const GUARD: u64 = 4;

/// The largest power of ten, either way: that of a floating-point literal.
const MAX_EXPONENT: i64 = 400;

/// A number.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Number(BigDecimal);

impl Number {
    /// Returns a number in its shortest form, rounded to [`DIGITS`]; `None` if it is too large.
    fn from_decimal(decimal: BigDecimal) -> Option<Self> {
        if decimal.is_zero() {
            return Some(Self(BigDecimal::zero()));
        }
        let exponent = (decimal.digits() as i64).saturating_sub(decimal.fractional_digit_count());
        if exponent > MAX_EXPONENT {
            return None;
        }
        if exponent < -MAX_EXPONENT {
            return Some(Self(BigDecimal::zero()));
        }
        let number = Self(decimal.normalized());
        if number.0.digits() <= DIGITS - GUARD {
            return Some(number);
        }
        // What a quotient lacks is not to be seen: 1 / 3 * 3 is 1.
        let near = number.rounded((DIGITS - GUARD) as usize);
        let is_near = !number.is_integer() && near.0.digits() <= DIGITS / 2;
        Some(if is_near { near } else { number.rounded(DIGITS as usize) })
    }

    /// Returns the number as an `f64`, rounded.
    pub fn to_f64(&self) -> f64 {
        // Through the text: it is rounded once, by the standard library.
        self.0.to_string().parse().unwrap_or(f64::INFINITY)
    }

    /// Returns the number of a finite `f64`, in its shortest form; `None` if it is infinite, or not a number.
    pub fn from_f64(float: f64) -> Option<Self> {
        if float.is_finite() { format!("{float:e}").parse().ok() } else { None }
    }

    /// Returns the number as an `i64`, if it is one.
    pub fn to_i64(&self) -> Option<i64> {
        if self.is_integer() { self.0.to_i64() } else { None }
    }

    /// Returns the number as a `usize`, if it is one.
    pub fn to_usize(&self) -> Option<usize> {
        if self.is_integer() { self.0.to_usize() } else { None }
    }

    /// Returns the number as an integer of any size, if it is one.
    pub(crate) fn to_integer(&self) -> Option<BigInt> {
        if self.is_integer() { Some(self.0.with_scale(0).into_bigint_and_exponent().0) } else { None }
    }

    /// Returns the number of an integer, if it is not too large.
    pub(crate) fn from_integer(integer: BigInt) -> Option<Self> {
        Self::from_decimal(BigDecimal::from(integer))
    }

    /// Whether the number has no fraction.
    pub fn is_integer(&self) -> bool {
        self.0.is_integer()
    }

    /// Whether the number is 0.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    /// Returns -1, 0 or 1.
    pub(crate) fn signum(&self) -> i64 {
        match self.0.cmp(&BigDecimal::zero()) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }
    }

    /// Returns the number rounded to so many digits (at least 1).
    pub(crate) fn rounded(&self, digits: usize) -> Self {
        match NonZeroU64::new(digits as u64) {
            Some(digits) => Self(self.0.with_precision_round(digits, RoundingMode::HalfEven).normalized()),
            None => self.clone(),
        }
    }

    /// Returns whether it is negative, its digits without zeros at the end, and the power of ten of the first digit.
    pub(crate) fn parts(&self) -> (bool, String, i64) {
        let (integer, scale) = self.0.as_bigint_and_exponent();
        let digits = integer.magnitude().to_string();
        let exponent = if self.is_zero() { 0 } else { digits.len() as i64 - 1 - scale };
        let trimmed = digits.trim_end_matches('0');
        (self.signum() < 0, if trimmed.is_empty() { "0".to_owned() } else { trimmed.to_owned() }, exponent)
    }

    pub(crate) fn negated(&self) -> Self {
        Self(-&self.0)
    }

    pub(crate) fn abs(&self) -> Self {
        Self(self.0.abs())
    }

    /// Returns the next integer below or, if `up`, above.
    pub(crate) fn round_to_integer(&self, up: bool) -> Self {
        let mode = if up { RoundingMode::Ceiling } else { RoundingMode::Floor };
        Self(self.0.with_scale_round(0, mode).normalized())
    }

    /// Returns the number with so many digits after the point, as `printf` writes it.
    pub(crate) fn with_fraction(&self, digits: u32) -> String {
        self.0.with_scale_round(i64::from(digits), RoundingMode::HalfEven).to_plain_string()
    }

    pub(crate) fn plus(&self, other: &Self) -> Option<Self> {
        Self::from_decimal(&self.0 + &other.0)
    }

    pub(crate) fn minus(&self, other: &Self) -> Option<Self> {
        Self::from_decimal(&self.0 - &other.0)
    }

    pub(crate) fn times(&self, other: &Self) -> Option<Self> {
        Self::from_decimal(&self.0 * &other.0)
    }

    /// Returns the quotient; the divisor is not 0.
    pub(crate) fn divided_by(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        let ((left, left_scale), (right, right_scale)) =
            (self.0.as_bigint_and_exponent(), other.0.as_bigint_and_exponent());
        // Enough digits that the last one kept is rounded by what follows it.
        let shift = (DIGITS + 6 + other.0.digits()).saturating_sub(self.0.digits());
        let quotient = left * BigInt::from(10).pow(u32::try_from(shift).ok()?) / right;
        Self::from_decimal(BigDecimal::new(quotient, left_scale + shift as i64 - right_scale))
    }

    /// Returns the remainder of the division whose quotient is cut to an integer; the divisor is not 0.
    pub(crate) fn remainder(&self, other: &Self) -> Option<Self> {
        if other.is_zero() { None } else { Self::from_decimal(&self.0 % &other.0) }
    }
}

/// As Packer prints it: decimal, as short as possible, without an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

impl FromStr for Number {
    type Err = String;

    /// Parses decimal digits with an optional sign, fraction and exponent.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("{text:?} is not a number");
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let well_formed = unsigned.starts_with(|c: char| c.is_ascii_digit())
            && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
        if !well_formed || text.len() > 1000 {
            return Err(error());
        }
        let exponent = unsigned.split_once(['e', 'E']).map_or("0", |(_, exponent)| exponent);
        if exponent.trim_start_matches(['+', '-', '0']).len() > 4 {
            return Err(format!("the number {text} is too large or too small"));
        }
        let decimal = BigDecimal::from_str(text).map_err(|_| error())?;
        Self::from_decimal(decimal).ok_or_else(|| format!("the number {text} is too large"))
    }
}

macro_rules! from_integers {
    ($($integer:ty)*) => {
        $(impl From<$integer> for Number {
            fn from(integer: $integer) -> Self {
                Self(BigDecimal::from(integer).normalized())
            }
        })*
    };
}

from_integers! { i32 i64 u32 u64 }

impl From<usize> for Number {
    fn from(integer: usize) -> Self {
        Self::from(integer as u64)
    }
}

//! Addresses of networks: `10.0.0.0/8`, `fd00::/8`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{arguments::Arguments, function::Function};
use crate::{error::Fault, value::Value};

/// How many bits one call may lengthen a prefix by: Packer's limit.
const MAX_BITS: u32 = 32;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("cidrhost", &["prefix", "host"], cidrhost),
    Function::new("cidrnetmask", &["prefix"], |a| {
        let network = network(a)?;
        Ok(network.address(network.mask(network.prefix)).to_string().into())
    }),
    Function::new("cidrsubnet", &["prefix", "new_bits", "subnet"], cidrsubnet),
    Function::new("cidrsubnets", &["prefix", "new_bits..."], cidrsubnets),
];

/// A network: the bits of its first address, right-aligned.
#[derive(Clone, Copy)]
struct Network {
    bits: u128,
    /// The length of its addresses, 32 or 128.
    length: u32,
    prefix: u32,
}

impl Network {
    /// Returns the bits that a prefix fixes.
    fn mask(&self, prefix: u32) -> u128 {
        let all = if self.length == 128 { u128::MAX } else { (1 << self.length) - 1 };
        all & !(all.checked_shr(prefix).unwrap_or(0))
    }

    /// Returns one more than the number of addresses' last: how many hosts a network of this prefix has; 0 for 2^128.
    fn size(&self, prefix: u32) -> u128 {
        1u128.checked_shl(self.length - prefix).unwrap_or(0)
    }

    fn address(&self, bits: u128) -> IpAddr {
        match u32::try_from(bits) {
            Ok(bits) if self.length == 32 => IpAddr::V4(Ipv4Addr::from_bits(bits)),
            _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
        }
    }

    fn show(&self, bits: u128, prefix: u32) -> String {
        format!("{}/{prefix}", self.address(bits))
    }

    /// Returns the prefix that is longer by the given argument.
    fn longer(&self, arguments: &Arguments<'_>, index: usize) -> Result<u32, Fault> {
        let bits = u32::try_from(arguments.integer(index)?).ok().filter(|bits| *bits <= MAX_BITS);
        let bits = bits.ok_or_else(|| Fault::new(format!("0 to {MAX_BITS} bits are required")).argument(index))?;
        let prefix = self.prefix + bits;
        if prefix > self.length {
            return Err(Fault::new(format!(
                "a prefix of {prefix} bits is longer than the address, {} bits",
                self.length
            ))
            .argument(index));
        }
        Ok(prefix)
    }
}

fn network(arguments: &Arguments<'_>) -> Result<Network, Fault> {
    let text = arguments.text(0)?;
    let fault = || Fault::new(format!("{text:?} is no network")).help("Write 10.0.0.0/8.").argument(0);
    let (address, prefix) = text.split_once('/').ok_or_else(fault)?;
    let (bits, length) = match address.parse::<IpAddr>().map_err(|_| fault())? {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let digits = !prefix.is_empty() && prefix.bytes().all(|b| b.is_ascii_digit());
    let prefix = prefix.parse::<u32>().ok().filter(|prefix| digits && *prefix <= length).ok_or_else(fault)?;
    let network = Network { bits, length, prefix };
    Ok(Network { bits: bits & network.mask(prefix), ..network })
}

/// A negative host counts from the end.
fn cidrhost(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let network = network(arguments)?;
    let number = arguments.integer(1)?;
    let size = network.size(network.prefix);
    let distance = u128::from(number.unsigned_abs());
    let fits = size == 0 || if number < 0 { distance <= size } else { distance < size };
    if !fits {
        return Err(Fault::new(format!("the network has no host {number}, but only {size}")).argument(1));
    }
    let host = if number < 0 { size.wrapping_sub(distance) } else { distance };
    Ok(network.address(network.bits.wrapping_add(host)).to_string().into())
}

fn cidrsubnet(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let network = network(arguments)?;
    let prefix = network.longer(arguments, 1)?;
    let number = u128::from(arguments.count(2)? as u64);
    let count = 1u128 << (prefix - network.prefix);
    if number >= count {
        return Err(Fault::new(format!("there is no subnet {number}, but only {count}")).argument(2));
    }
    let offset = number.checked_shl(network.length - prefix).unwrap_or(0);
    Ok(network.show(network.bits | offset, prefix).into())
}

/// The networks follow each other without overlap, each at the first address that fits its size.
fn cidrsubnets(arguments: &Arguments<'_>) -> Result<Value, Fault> {
    let network = network(arguments)?;
    let whole = network.size(network.prefix);
    // How many addresses are taken.
    let mut taken = 0u128;
    let mut subnets = Vec::new();
    for (index, _) in arguments.rest(1) {
        let prefix = network.longer(arguments, index)?;
        if prefix == network.prefix {
            return Err(Fault::new("at least one bit is required").argument(index));
        }
        let size = network.size(prefix);
        let start = taken.checked_next_multiple_of(size);
        let end = start.and_then(|start| start.checked_add(size)).filter(|end| whole == 0 || *end <= whole);
        let (Some(start), Some(end)) = (start, end) else {
            return Err(Fault::new("the network has no room left for this").argument(index));
        };
        subnets.push(network.show(network.bits | start, prefix).into());
        taken = end;
    }
    Ok(Value::List(subnets))
}

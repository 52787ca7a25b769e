//! Whether a program runs where glibc is old: what it asks of the dynamic loader, read out of its ELF file.

use std::{collections::BTreeSet, fmt, path::Path};

use object::{
    elf::{FileHeader64, SHT_DYNSYM},
    endian::Endianness,
    read::elf::{FileHeader as _, Sym as _},
};

/// A version of glibc.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(pub(crate) u32, pub(crate) u32);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// Amazon Linux 2023's, of the hosts and of Lambda's `provided.al2023`.
pub(crate) const AMAZON_LINUX_2023: Version = Version(2, 34);

/// The symbols with a version that a program takes from libraries, as (symbol, version): `("memcpy", "GLIBC_2.14")`.
///
/// # Errors
/// An error message: the file is not a readable ELF file.
pub(crate) fn taken(program: &[u8]) -> Result<BTreeSet<(String, String)>, String> {
    read(program).map_err(|error| error.to_string())
}

fn read(program: &[u8]) -> object::Result<BTreeSet<(String, String)>> {
    let header = FileHeader64::<Endianness>::parse(program)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, program)?;
    let symbols = sections.symbols(endian, program, SHT_DYNSYM)?;
    let Some(versions) = sections.versions(endian, program)? else { return Ok(BTreeSet::new()) };
    let mut taken = BTreeSet::new();
    for (index, symbol) in symbols.enumerate() {
        if !symbol.is_undefined(endian) {
            continue;
        }
        let Some(version) = versions.version(versions.version_index(endian, index).index())? else { continue };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        taken.insert((text(symbols.symbol_name(endian, symbol)?), text(version.name())));
    }
    Ok(taken)
}

/// Which of these need a newer glibc, as `symbol@GLIBC_2.39`.
pub(crate) fn newer(taken: &BTreeSet<(String, String)>, oldest: Version) -> Vec<String> {
    let newer = taken.iter().filter(|(_, version)| match glibc(version) {
        Some(needed) => needed > oldest,
        // GLIBC_PRIVATE is of that very build of glibc; other libraries' versions are not glibc's.
        None => version.starts_with("GLIBC_"),
    });
    newer.map(|(symbol, version)| format!("{symbol}@{version}")).collect()
}

/// `GLIBC_2.34`, `GLIBC_2.2.5`.
fn glibc(version: &str) -> Option<Version> {
    let mut numbers = version.strip_prefix("GLIBC_")?.split('.').map(|number| number.parse::<u32>().ok());
    Some(Version(numbers.next()??, numbers.next()??))
}

/// The newest glibc that it asks for.
pub(crate) fn newest(taken: &BTreeSet<(String, String)>) -> Option<Version> {
    taken.iter().filter_map(|(_, version)| glibc(version)).max()
}

/// Checks that the program runs with this glibc. Returns the newest version that it needs.
///
/// # Errors
/// An error message with the reason.
pub(crate) fn check(program: &Path, oldest: Version) -> Result<Version, String> {
    let bytes = std::fs::read(program).map_err(|error| format!("{}: {error}", program.display()))?;
    let taken = taken(&bytes).map_err(|error| format!("{}: {error}", program.display()))?;
    let newer = newer(&taken, oldest);
    if !newer.is_empty() {
        return Err(format!("{} does not run with glibc {oldest}: it needs {}", program.display(), newer.join(", ")));
    }
    // A program of ours takes at least memcpy: nothing found means that the wrong thing was looked at.
    newest(&taken).ok_or_else(|| format!("{} asks for nothing of glibc", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
        pairs.iter().map(|(symbol, version)| ((*symbol).to_owned(), (*version).to_owned())).collect()
    }

    #[test]
    fn newer_symbols_are_named() {
        let taken = some(&[
            ("memcpy", "GLIBC_2.14"),
            ("pthread_create", "GLIBC_2.34"),
            ("__isoc23_strtol", "GLIBC_2.38"),
            ("malloc", "GLIBC_2.2.5"),
            ("_Unwind_Resume", "GCC_3.0"),
            ("__nss_lookup", "GLIBC_PRIVATE"),
        ]);
        assert_eq!(newer(&taken, AMAZON_LINUX_2023), ["__isoc23_strtol@GLIBC_2.38", "__nss_lookup@GLIBC_PRIVATE"]);
        assert_eq!(newest(&taken), Some(Version(2, 38)));
        assert_eq!(newer(&taken, Version(2, 2)).len(), 4);
        assert!(Version(2, 9) < Version(2, 34), "by number, not by letter");
    }

    /// This test's own program is one, linked to this machine's glibc.
    #[test]
    fn a_programs_symbols_are_read() {
        let own = std::env::current_exe().unwrap();
        let found = taken(&std::fs::read(&own).unwrap()).unwrap();
        assert!(
            found.iter().any(|(symbol, version)| symbol == "malloc" && version.starts_with("GLIBC_2.")),
            "{found:?}"
        );
        // None is that old, none is that new.
        assert!(check(&own, Version(2, 1)).unwrap_err().contains("malloc@GLIBC_2."));
        assert!(check(&own, Version(2, 99)).unwrap() >= Version(2, 2));
    }

    #[test]
    fn what_is_no_program_is_no_good_news() {
        assert!(taken(b"#!/bin/sh\n").is_err());
        assert!(check(Path::new("/no/such/file"), AMAZON_LINUX_2023).unwrap_err().contains("/no/such/file"));
    }
}

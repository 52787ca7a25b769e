//! The options with which a template is read.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Default, Args)]
pub(crate) struct Variables {
    /// Give a template variable a value; `-var` works, too.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) vars: Vec<(String, String)>,
    /// Read template variables from a JSON file; `-var-file` works, too.
    #[arg(long = "var-file", value_name = "FILE")]
    pub(crate) var_files: Vec<PathBuf>,
}

#[derive(Debug, Default, Args)]
pub(crate) struct Selection {
    /// Only these builds, separated by commas: names of a JSON template, or patterns with `*` in HCL2.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// All but these builds, separated by commas, and without the post-processors of these names.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) except: Vec<String>,
}

/// Options of Packer that have nothing to act on here: there are no plugins to load, no HCP Packer to enforce anything,
/// and the order of evaluation follows from the references.
#[derive(Debug, Default, Args)]
pub(crate) struct Ignored {
    /// Accepted for Packer's sake.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = super::flag::parse)]
    pub(crate) use_sequential_evaluation: bool,
    /// Accepted for Packer's sake.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = super::flag::parse)]
    pub(crate) ignore_prerelease_plugins: bool,
    /// Accepted for Packer's sake.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", value_parser = super::flag::parse)]
    pub(crate) skip_enforcement: bool,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_equal_signs_and_be_empty() {
        assert_eq!(assignment("a=b=c").unwrap(), ("a".to_owned(), "b=c".to_owned()));
        assert_eq!(assignment("a=").unwrap(), ("a".to_owned(), String::new()));
        assert!(assignment("a").is_err());
        assert!(assignment("=b").is_err());
    }
}

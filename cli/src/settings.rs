//! Determines the settings from arguments and environment variables, which are an argument here.

use std::path::{Path, PathBuf};

use bakehouse_protocol::Region;

use crate::report::CliError;

/// The argument that makes this program run one job of the agent.
pub(crate) const AGENT_JOB: &str = "agent-job";
/// How many builds may run concurrently on this machine.
pub(crate) const SLOTS: usize = 16;

/// The default region.
const DEFAULT_REGION: &str = "us-east-1";

/// Looks up an environment variable; one that is empty counts as unset.
pub(crate) struct Environment<F>(pub(crate) F);

impl<F: Fn(&str) -> Option<String>> Environment<F> {
    fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    /// Returns the state directory: `--state`, else BAKEHOUSE_STATE, else `bakehouse` in XDG_STATE_HOME or in its
    /// default.
    pub(crate) fn state(&self, given: Option<&Path>, directory: &Path) -> Result<PathBuf, CliError> {
        let path = given.map(Path::to_owned).or_else(|| self.get("BAKEHOUSE_STATE").map(PathBuf::from)).or_else(|| {
            // The XDG specification: a relative path in it is to be ignored.
            let home = self.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            home.or_else(|| self.get("HOME").map(|home| Path::new(&home).join(".local/state")))
                .map(|home| home.join("bakehouse"))
        });
        match path {
            Some(path) => Ok(directory.join(path)),
            None => Err(CliError::wrong(
                "there is no place for the state: none of BAKEHOUSE_STATE, XDG_STATE_HOME and HOME is set",
            )
            .hint("name one with --state DIR")),
        }
    }

    /// Returns the region: `--region`, else AWS_REGION, else AWS_DEFAULT_REGION, else us-east-1.
    pub(crate) fn region(&self, given: Option<&Region>) -> Result<Region, CliError> {
        if let Some(region) = given {
            return Ok(region.clone());
        }
        for name in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
            if let Some(text) = self.get(name) {
                return Region::new(text).map_err(|error| CliError::wrong(format!("{name}: {error}")));
            }
        }
        Region::new(DEFAULT_REGION).map_err(|error| CliError::of(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&'static str, &'static str)]) -> Environment<impl Fn(&str) -> Option<String>> {
        let pairs = pairs.to_vec();
        Environment(move |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn state(pairs: &[(&'static str, &'static str)], given: Option<&str>) -> PathBuf {
        environment(pairs).state(given.map(Path::new), Path::new("/here")).unwrap()
    }

    #[test]
    fn the_state_directory_has_an_order_of_sources() {
        let all = [("BAKEHOUSE_STATE", "/b"), ("XDG_STATE_HOME", "/x"), ("HOME", "/h")];
        assert_eq!(state(&all, Some("s")), Path::new("/here/s"));
        assert_eq!(state(&all, None), Path::new("/b"));
        assert_eq!(state(&all[1..], None), Path::new("/x/bakehouse"));
        assert_eq!(state(&all[2..], None), Path::new("/h/.local/state/bakehouse"));
        assert_eq!(state(&[("XDG_STATE_HOME", "x"), ("HOME", "/h")], None), Path::new("/h/.local/state/bakehouse"));
        assert_eq!(state(&[("BAKEHOUSE_STATE", ""), ("HOME", "/h")], None), Path::new("/h/.local/state/bakehouse"));
        assert!(environment(&[]).state(None, Path::new("/")).is_err());
    }

    #[test]
    fn the_region_has_an_order_of_sources() {
        let all = [("AWS_REGION", "eu-west-1"), ("AWS_DEFAULT_REGION", "eu-west-2")];
        let given = Region::new("eu-west-3").unwrap();
        assert_eq!(environment(&all).region(Some(&given)).unwrap(), given);
        assert_eq!(environment(&all).region(None).unwrap().as_str(), "eu-west-1");
        assert_eq!(environment(&all[1..]).region(None).unwrap().as_str(), "eu-west-2");
        assert_eq!(environment(&[]).region(None).unwrap().as_str(), "us-east-1");
        assert!(environment(&[("AWS_REGION", "EU West")]).region(None).is_err());
    }
}

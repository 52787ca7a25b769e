//! `/etc/bakehouse/agent.json`: the stack's configuration, and the host's own settings beside it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use bakehouse_protocol::{HostId, StackConfig, VERSION};
use serde::{Deserialize, Serialize};

/// The default path of the settings.
pub const FILE: &str = "/etc/bakehouse/agent.json";

/// The daemon's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The stack that it serves.
    #[serde(flatten)]
    pub stack: StackConfig,
    /// How many builds run concurrently; absent: by the host's size.
    #[serde(default)]
    pub slots: Option<u32>,
    /// How many volumes the instance can have attached; absent: counted.
    #[serde(default)]
    pub attach_limit: Option<u32>,
    /// A directory for each running job. Best on a tmpfs.
    #[serde(default = "run_dir")]
    pub run_dir: PathBuf,
    /// The directory of the journal and of unpacked bundles, which must survive a reboot.
    #[serde(default = "work_dir")]
    pub work_dir: PathBuf,
    /// How long running jobs may go on after a signal to stop.
    #[serde(default = "drain_seconds")]
    pub drain_seconds: u64,
    /// Directories with links named `nvme-Amazon_Elastic_Block_Store_<volume id without its dash>`.
    #[serde(default = "by_id")]
    pub by_id: Vec<PathBuf>,
    /// The control group of the builds, below the cgroup v2 mount; absent: `jobs` below the daemon's own.
    #[serde(default)]
    pub cgroup: Option<String>,
}

fn run_dir() -> PathBuf {
    "/run/bakehouse".into()
}

fn work_dir() -> PathBuf {
    "/var/lib/bakehouse".into()
}

fn drain_seconds() -> u64 {
    120
}

fn by_id() -> Vec<PathBuf> {
    vec!["/dev/disk/by-id".into()]
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("can't read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A setting is invalid.
    #[error("{path}: {what}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        let invalid = |what| SettingsError::Invalid { path: path.to_owned(), what };
        let settings = Self::parse(&text).map_err(invalid)?;
        for name in settings.unknown(&text) {
            tracing::warn!(path = %path.display(), setting = name, "unknown setting");
        }
        Ok(settings)
    }

    /// Returns the unknown settings in the text. Not an error: a later stack may have more settings than this agent.
    fn unknown(&self, text: &str) -> Vec<String> {
        let members = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
        let known = serde_json::to_string(self).and_then(|text| members(&text)).unwrap_or_default();
        members(text)
            .unwrap_or_default()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| !known.contains_key(name))
            .collect()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let settings: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if settings.stack.version != VERSION {
            return Err(format!("it is of version {}, and this agent knows {VERSION}", settings.stack.version));
        }
        if settings.slots == Some(0) {
            return Err("`slots` is 0: write 1 or more".to_owned());
        }
        Ok(settings)
    }

    /// Returns the name of a host's queue.
    pub fn queue_name(&self, host: &HostId) -> String {
        format!("{}{host}", self.stack.host_queue_prefix)
    }

    /// Returns how long running jobs may go on.
    pub fn drain(&self) -> Duration {
        Duration::from_secs(self.drain_seconds)
    }

    /// Returns the directory of the journal.
    pub fn journal(&self) -> PathBuf {
        self.work_dir.join("jobs")
    }

    /// Returns the directory of unpacked bundles.
    pub fn bundles(&self) -> PathBuf {
        self.work_dir.join("bundles")
    }

    /// Returns the settings of jobs on this host.
    pub fn for_jobs(&self, host: HostId, cgroup: String) -> bakehouse_agent::Settings {
        let mut settings = bakehouse_agent::Settings::new(host);
        settings.by_id.clone_from(&self.by_id);
        settings.run_dir.clone_from(&self.run_dir);
        settings.cgroup = self.cgroup.clone().unwrap_or(cgroup);
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_good_and_shows_the_defaults() {
        let sample = include_str!("../dist/agent.json");
        let settings = Settings::parse(sample).unwrap();
        assert_eq!(settings.queue_name(&HostId::new("i-01234567").unwrap()), "bakehouse-host-i-01234567");
        assert!(!settings.stack.allow_host_access);
        let stack = serde_json::to_string(&settings.stack).unwrap();
        let least = Settings::parse(&stack).unwrap();
        assert_eq!(least, settings);
        assert_eq!(settings.unknown(sample), [""; 0]);
        assert_eq!(settings.unknown(&sample.replace("drain_seconds", "drain_second")), ["drain_second"]);
        assert_eq!(least.drain(), Duration::from_secs(120));
    }

    #[test]
    fn invalid_settings_are_errors() {
        let sample = include_str!("../dist/agent.json");
        let other = sample.replace("\"bakehouse\": 1,", "\"bakehouse\": 2,");
        assert_eq!(Settings::parse(&other).unwrap_err(), "it is of version 2, and this agent knows 1");
        let none = sample.replace("\"drain_seconds\"", "\"slots\": 0, \"drain_seconds\"");
        assert!(Settings::parse(&none).is_err());
        assert!(Settings::parse("{}").unwrap_err().contains("missing field"));
    }
}

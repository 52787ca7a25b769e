//! Parameter Store and KMS of a dry run: parameters in memory, and any key.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use bakehouse_controller::{
    cloud::NoParameters,
    ports::{Key, Keys, Parameters},
};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{Region, spec::CopyRole};

/// Parameters in memory, none at first.
#[derive(Debug, Default)]
pub struct MemoryParameters(Mutex<BTreeMap<(Region, String), String>>);

impl MemoryParameters {
    fn with<T>(&self, f: impl FnOnce(&mut BTreeMap<(Region, String), String>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Parameters for MemoryParameters {
    async fn find_parameter(&self, region: &Region, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.with(|all| all.get(&(region.clone(), name.to_owned())).cloned()))
    }

    async fn put_image(&self, region: &Region, name: &str, image: &str) -> Result<(), Fault> {
        self.with(|all| all.insert((region.clone(), name.to_owned()), image.to_owned()));
        Ok(())
    }

    async fn delete_parameter(&self, region: &Region, name: &str) -> Result<(), Fault> {
        let gone = self.with(|all| all.remove(&(region.clone(), name.to_owned())));
        gone.map(drop).ok_or_else(|| Fault::new(FaultKind::NotFound, format!("there is no parameter {name}")))
    }
}

impl Keys for MemoryParameters {
    async fn key(&self, region: &Region, role: Option<&CopyRole>, key: &str) -> Result<Key, Fault> {
        NoParameters.key(region, role, key).await
    }
}

//! A Parameter Store in memory that checks an image only after the call, and any key of KMS.

use std::sync::{Arc, Mutex};

use bakehouse_controller::ports::{Key, Keys, Parameters};
use bakehouse_machine::{Fault, FaultKind};
use bakehouse_protocol::{Region, spec::CopyRole};

use crate::state::State;

/// The parameter that a build writes, and its value before.
pub const PARAMETER: &str = "/golden/web";
pub const PREVIOUS: &str = "ami-0123456789abcdef0";

pub struct FakeParameters(pub Arc<Mutex<State>>);

impl FakeParameters {
    fn operation<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.0.lock().expect("the state");
        state.operation_begins();
        let result = f(&mut state);
        state.operation_ends();
        result
    }
}

impl Parameters for FakeParameters {
    async fn find_parameter(&self, region: &Region, name: &str) -> Result<Option<String>, Fault> {
        Ok(self.operation(|state| state.parameters.get(&(region.clone(), name.to_owned())).cloned()))
    }
    async fn put_image(&self, region: &Region, name: &str, image: &str) -> Result<(), Fault> {
        self.operation(|state| {
            state.dropped_writes += 1;
            // The first write of all is dropped, as if the image could not be seen yet.
            if state.dropped_writes > 1 {
                state.parameters.insert((region.clone(), name.to_owned()), image.to_owned());
            }
        });
        Ok(())
    }
    async fn delete_parameter(&self, region: &Region, name: &str) -> Result<(), Fault> {
        let gone = self.operation(|state| state.parameters.remove(&(region.clone(), name.to_owned())));
        gone.map(drop).ok_or_else(|| Fault::new(FaultKind::NotFound, format!("there is no parameter {name}")))
    }
}

impl Keys for FakeParameters {
    async fn key(&self, _: &Region, _: Option<&CopyRole>, _: &str) -> Result<Key, Fault> {
        Ok(Key { enabled: true, encrypts: true, managed_by_aws: false })
    }
}

//! One process of the function, whose calls take time and which may die during any of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bakehouse_protocol::Millis;

use crate::simulation::Simulation;

/// One process of the function.
pub struct Function {
    pub simulation: Arc<Simulation>,
    pub died: AtomicBool,
}

impl Function {
    pub fn new(simulation: Arc<Simulation>) -> Arc<Self> {
        Arc::new(Self { simulation, died: AtomicBool::new(false) })
    }

    /// Waits as long as a request takes.
    pub async fn begins(&self) {
        let takes = self.simulation.state().below(40) + 1;
        self.simulation.time.sleep(Millis(takes)).await;
    }

    /// Waits as long as a response takes; the process may die then.
    pub async fn ends(&self) {
        let takes = self.simulation.state().below(20) + 1;
        self.simulation.time.sleep(Millis(takes)).await;
        let dies = {
            let mut state = self.simulation.state();
            let dies = state.kill == Some(state.operations);
            state.operations += 1;
            if dies {
                state.kill = None;
            }
            dies
        };
        if dies {
            self.died.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
    }
}

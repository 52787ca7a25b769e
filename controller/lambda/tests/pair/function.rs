//! One process of the function, whose calls take time and which may die during any of them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bakehouse_protocol::Millis;

use crate::world::World;

/// One process of the function.
pub struct Function {
    pub world: Arc<World>,
    pub died: AtomicBool,
}

impl Function {
    pub fn new(world: Arc<World>) -> Arc<Self> {
        Arc::new(Self { world, died: AtomicBool::new(false) })
    }

    /// A call goes out: it takes its time.
    pub async fn begins(&self) {
        let takes = self.world.state().below(40) + 1;
        self.world.time.sleep(Millis(takes)).await;
    }

    /// Its answer is there.
    pub async fn ends(&self) {
        let takes = self.world.state().below(20) + 1;
        self.world.time.sleep(Millis(takes)).await;
        let dies = {
            let mut state = self.world.state();
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

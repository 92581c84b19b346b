//! Where a run lets others have a say.

use crate::name::HostName;
use async_trait::async_trait;

/// Called around every group of hosts that change (Kamal's `pre-app-boot` and `post-app-boot`). An error stops the run
/// there, and what it changed goes back.
#[async_trait]
pub trait StageHooks: Send + Sync {
    /// Before a group changes.
    async fn before_change(&self, hosts: &[HostName]) -> Result<(), String>;

    /// After a group has changed.
    async fn after_change(&self, hosts: &[HostName]) -> Result<(), String>;
}

/// No hooks.
pub struct NoHooks;

#[async_trait]
impl StageHooks for NoHooks {
    async fn before_change(&self, _: &[HostName]) -> Result<(), String> {
        Ok(())
    }

    async fn after_change(&self, _: &[HostName]) -> Result<(), String> {
        Ok(())
    }
}

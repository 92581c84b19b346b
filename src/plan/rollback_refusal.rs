//! Why a rollback is refused, and what would help; what its plan has to say of the target.

use crate::config::Config;
use crate::history::{Help, Release, Scope, TargetError};
use crate::name::RoleName;
use crate::plan::rollback_record::roles_of;
use crate::plan::situation::Situation;
use crate::plan::{Action, Plan, Refusal, RollbackRequest, Strategy};

/// There is no target. Where other hosts could complete it, that is said.
pub(super) fn no_target(
    situation: &Situation<'_>,
    request: &RollbackRequest,
    needed: &Scope,
    error: &TargetError,
) -> Refusal {
    let refusal = Refusal::new(error.to_string()).hint("`windlass releases` lists what there is, and where");
    if !matches!(error, TargetError::Incomplete { .. }) || request.help != Help::default() {
        return refusal;
    }
    let mut helped = Situation::of(situation.config, situation.fleet, situation.request, Strategy::Together);
    helped.supply(Help { copy: true, pull: false });
    match helped.history.resolve(request.target.as_deref(), needed) {
        Ok(_) => refusal.hint(
            "`--copy` completes it: image, record and secrets come from a host that has them, over SSH, and nothing is \
             pulled",
        ),
        Err(_) => refusal,
    }
}

/// Refuses a plan that pulls: the proxy's image may be what a host lacks.
pub(super) fn pulls_nothing(plan: &Plan) -> Result<(), Refusal> {
    let pull = plan.steps().find_map(|(_, host, step)| match &step.action {
        Action::Pull { image, .. } => Some((host, image)),
        _ => None,
    });
    let Some((host, image)) = pull else { return Ok(()) };
    let message =
        format!("the proxy of {host} does not run and its image {image} is not there; a rollback pulls nothing");
    Err(Refusal::new(message)
        .hint("`--copy` takes it from another host that has it, over SSH; `--pull` from its registry")
        .hint(format!("or pull it (`docker pull {image}` on {host}), then roll back")))
}

/// Roles of the target that nothing is configured for any more: no host is known for them.
pub(super) fn not_configured(config: &Config, target: &Release) -> Option<String> {
    let configured = |role: &RoleName| config.roles.iter().any(|r| r.name == *role);
    let gone: Vec<_> =
        roles_of(target).into_iter().filter(|role| !configured(role)).map(|role| role.to_string()).collect();
    let list = gone.join(", ");
    (!gone.is_empty()).then(|| format!("{} had roles that are not configured any more: {list}", target.version.short()))
}

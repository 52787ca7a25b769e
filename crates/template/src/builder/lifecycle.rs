//! What happens to the image later, and where its id is published.

use bakehouse_protocol::{
    DeferredTemplate,
    spec::{Deprecation, DeregistrationProtection, Lifecycle},
};

use super::rules::{Rules, constant};

/// How long after now EC2 takes a time of deprecation: ten years.
const MAX_DEPRECATION_DAYS: i64 = 3652;

impl Rules<'_> {
    pub(super) fn lifecycle(&self) -> Lifecycle {
        let protection = self.values.block("deregistration_protection");
        Lifecycle {
            deprecation: self.deprecation(),
            deregistration_protection: protection.and_then(|block| {
                let with_cooldown = block.flag("with_cooldown");
                (block.flag("enabled") || with_cooldown).then_some(DeregistrationProtection { with_cooldown })
            }),
            parameters: self.parameters(),
        }
    }

    fn deprecation(&self) -> Option<Deprecation> {
        let at = self.values.string("deprecate_at");
        let after = self.values.duration("bakehouse_deprecate_in");
        if let (Some(_), Some(location)) = (&at, self.values.location("bakehouse_deprecate_in")) {
            let message = "`bakehouse_deprecate_in` cannot be combined with `deprecate_at`";
            self.error(location, message, "Keep one of the two.");
        }
        let Some(at) = at else {
            return after.map(Deprecation::In);
        };
        // Go's RFC 3339 has a T and a zone; jiff is less strict.
        let time = at.value.parse::<jiff::Timestamp>().ok().filter(|_| at.value.as_bytes().get(10) == Some(&b'T'));
        let Some(time) = time else {
            let message = format!("\"{}\" is not a time in RFC 3339", at.value);
            self.error(&at.location, message, "Write for instance 2030-01-31T00:00:00Z.");
            return None;
        };
        let now = i64::try_from(self.now.0 / 1000).unwrap_or(i64::MAX);
        let seconds = time.as_second().saturating_sub(now);
        if seconds <= 0 {
            let message = format!("{} is in the past", at.value);
            self.warning(&at.location, message, "EC2 refuses it, or the image is deprecated at once.");
        } else if seconds > MAX_DEPRECATION_DAYS * 86_400 {
            let message = format!("{} is more than ten years from now", at.value);
            self.error(&at.location, message, "EC2 takes a time within ten years.");
        }
        Some(Deprecation::At(at.value))
    }

    fn parameters(&self) -> Vec<DeferredTemplate> {
        let parameters = self.values.deferred_list("bakehouse_ssm_parameters").unwrap_or_default();
        for name in &parameters {
            let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b"_.-/".contains(&b);
            let is_wrong = |text: &str| text.is_empty() || text.len() > 1011 || !text.bytes().all(is_name_byte);
            if constant(&name.value).is_some_and(is_wrong) {
                let message = format!("\"{}\" cannot be the name of a parameter", name.value.0);
                self.error(&name.location, message, "Write letters, digits and _ . - / only, such as /golden/web.");
            }
        }
        parameters.into_iter().map(|name| name.value).collect()
    }
}

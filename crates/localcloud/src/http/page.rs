//! Pages of results: MaxResults and NextToken.

use std::ops::RangeInclusive;

use bakehouse_ec2::ApiError;

use crate::http::params::Node;

/// The requested page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    max: Option<usize>,
    after: Option<String>,
}

impl Paging {
    /// Reads MaxResults, which must be in `range`, and NextToken. `ids`: the call has ids of resources; EC2 does not
    /// accept MaxResults then.
    ///
    /// # Errors
    /// `InvalidParameterValue`, `InvalidParameterCombination`, `InvalidNextToken`.
    pub fn read(node: &Node<'_>, range: RangeInclusive<u32>, ids: bool) -> Result<Self, ApiError> {
        let max: Option<u32> = node.value("MaxResults")?;
        // Some clients send 0 for no limit.
        let max = max.filter(|max| *max != 0);
        if let Some(max) = max {
            if ids {
                let message = "The parameter MaxResults may not be used together with ids";
                return Err(ApiError::new("InvalidParameterCombination", message));
            }
            if !range.contains(&max) {
                let message = format!(
                    "Value ( {max} ) for parameter maxResults is invalid. Expecting a value from {} to {}.",
                    range.start(),
                    range.end()
                );
                return Err(ApiError::new("InvalidParameterValue", message));
            }
        }
        let after = node.non_empty("NextToken").map(decode).transpose()?;
        Ok(Self { max: max.and_then(|max| usize::try_from(max).ok()), after })
    }

    /// Returns the page, and the token of the next one if there is one. A token names the last resource of its page, so
    /// that no resource is skipped or repeated if others are created or deleted in between.
    pub fn cut<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
        items.sort_by_cached_key(&key);
        if let Some(after) = &self.after {
            items.retain(|item| key(item) > *after);
        }
        let Some(max) = self.max.filter(|max| items.len() > *max) else {
            return (items, None);
        };
        items.truncate(max);
        let token = items.last().map(|last| encode(&key(last)));
        (items, token)
    }
}

fn encode(key: &str) -> String {
    key.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Result<String, ApiError> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = token.as_bytes().chunks(2).map(byte).collect();
    bytes
        .filter(|bytes| bytes.len() * 2 == token.len())
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ApiError::new("InvalidNextToken", "The specified NextToken is not valid."))
}

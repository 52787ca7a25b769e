//! What is in a template, as `bakehouse inspect` shows it.

/// What is in a template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// `description`.
    pub description: Option<String>,
    /// The variables, in the template's order.
    pub variables: Vec<InspectedVariable>,
    /// The names and types of the builders, in the template's order.
    pub builders: Vec<(String, String)>,
    /// The types of the provisioners, in order.
    pub provisioners: Vec<String>,
    /// The types of the post-processors, in order.
    pub post_processors: Vec<String>,
}

/// A variable of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedVariable {
    /// Its name.
    pub name: String,
    /// The given value, else the default, as it is written; absent: it must be given.
    pub value: Option<String>,
    /// Whether it has no default.
    pub is_required: bool,
    /// Whether its value must be masked in output.
    pub is_sensitive: bool,
}

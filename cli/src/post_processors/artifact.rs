//! What a build has made, as Packer's post-processors are given it.

/// The builder's type.
pub(super) const BUILDER_TYPE: &str = "amazon-chroot";

/// The images of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artifact {
    /// `PACKER_BUILD_NAME`.
    pub(crate) build_name: String,
    /// The regions and ids of the images.
    pub(crate) images: Vec<(String, String)>,
}

impl Artifact {
    /// Returns Packer's id: `us-east-1:ami-…,us-west-2:ami-…`, sorted.
    pub(super) fn id(&self) -> String {
        let mut parts: Vec<String> = self.images.iter().map(|(region, id)| format!("{region}:{id}")).collect();
        parts.sort();
        parts.join(",")
    }
}

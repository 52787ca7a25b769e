//! Bundles: a template and the files that it names, in one object.

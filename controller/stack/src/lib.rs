//! What a deployed stack keeps and sends, through the SDK.

#pragma once

namespace sandy {

/// The secret of a sandbox that its agents use for their model when a run names no key: they get what stands
/// for it.
inline constexpr const char* model_key_secret = "SANDY_MODEL_KEY";

} // namespace sandy

#pragma once

namespace sandy::guest {

/// Takes a descriptor from whoever listens at a path, as one message with SCM_RIGHTS (unix(7)), and makes it
/// `number`. Blocks until it is there. False when it does not come.
bool take_listener(const char* path, int number);

} // namespace sandy::guest

#pragma once

#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <optional>

namespace sandy::http::codec {

/// Bytes of "4Gi", "512Mi", "4G" (decimal), "4GB", "4GiB", "1.5Gi", or of a bare number, which is bytes, as
/// in Kubernetes. None for what is no amount, negative or too large.
std::optional<std::uint64_t> parse_bytes(const nlohmann::json& value);

/// Thousandths of a core of 2, "2", 0.5 or "500m". None for what is no amount, negative or too large.
std::optional<std::uint32_t> parse_cores(const nlohmann::json& value);

} // namespace sandy::http::codec

#include "app/cli/local_key.hpp"

#include <fstream>

namespace sandy::cli {

std::string local_key(const std::string& data_dir) {
  std::ifstream file(data_dir + "/api_key");
  std::string key;
  file >> key;
  return key;
}

} // namespace sandy::cli

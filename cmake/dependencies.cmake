# Everything comes from Debian 12's packages; script/setup installs them. A missing one is named here, at configure time.
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS url json)
find_package(OpenSSL REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(prometheus-cpp REQUIRED CONFIG)
find_package(SQLiteCpp REQUIRED CONFIG)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp)

# Debian ships no CMake package for CAF 0.17.
find_path(CAF_INCLUDE_DIR caf/actor_system.hpp REQUIRED)
find_library(CAF_CORE_LIBRARY caf_core REQUIRED)
add_library(sandy_caf INTERFACE)
target_include_directories(sandy_caf SYSTEM INTERFACE ${CAF_INCLUDE_DIR})
target_link_libraries(sandy_caf INTERFACE ${CAF_CORE_LIBRARY} Threads::Threads)

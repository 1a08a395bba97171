// swift-tools-version: 6.2
import PackageDescription

/// Every target is held to the same rules: language mode 6, explicit existentials, imports visible per file.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

/// What ships carries Swift's libraries in itself: it starts six times faster and needs no Swift where it runs. Set at the link
/// of programs alone, because test targets cannot be compiled against the static libraries (they lack Testing); so programs
/// and tests share one build. The named libraries are those that FoundationEssentials (of ArgumentParser) needs.
let staticRuntime: [LinkerSetting] = [
    .unsafeFlags(["-static-stdlib", "-lswiftSynchronization", "-l_FoundationCollections", "-l_FoundationCShims"])
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let nio: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioEmbedded: Target.Dependency = .product(name: "NIOEmbedded", package: "swift-nio")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")

let package = Package(
    name: "sheepdog",
    products: [
        .executable(name: "sheep", targets: ["sheep"]),
        .executable(name: "dog", targets: ["dog"]),
        .executable(name: "sheepfs", targets: ["sheepfs"]),
        .executable(name: "simulate", targets: ["simulate"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        // Values.
        .target(name: "ObjectModel", swiftSettings: settings),
        .target(name: "SheepProtocol", dependencies: ["ObjectModel"], swiftSettings: settings),
        .target(name: "Listings", dependencies: ["ObjectModel", "SheepProtocol"], swiftSettings: settings),
        // Deciders.
        .target(name: "Cluster", dependencies: ["ObjectModel"], swiftSettings: settings),
        .target(
            name: "Viewstamped", dependencies: ["ObjectModel", "Cluster"], path: "Sources/ClusterEngines/Viewstamped",
            swiftSettings: settings),
        .target(name: "ObjectStore", dependencies: ["ObjectModel", "CIsal", "CLinux"], swiftSettings: settings),
        .target(
            name: "Gateway",
            dependencies: [
                "ObjectModel", "SheepProtocol", "Cluster", "ObjectStore", "FrontendKit", nio, logging,
            ], swiftSettings: settings),
        // Ports.
        .target(name: "FrontendKit", dependencies: ["ObjectModel", nio], swiftSettings: settings),
        // Doers.
        .target(
            name: "LocalEngine", dependencies: ["ObjectModel", "Cluster", "CLinux", "CIsal"],
            path: "Sources/ClusterEngines/Local", swiftSettings: settings),
        .target(
            name: "Authentication", dependencies: ["ObjectModel", "SheepProtocol", "CLinux", crypto, nio], swiftSettings: settings),
        .target(
            name: "Transport", dependencies: ["ObjectModel", "SheepProtocol", "Authentication", "Cluster", "ObjectStore", "Gateway", "FrontendKit", nio, nioPosix, logging],
            swiftSettings: settings),
        .target(
            name: "Client", dependencies: ["ObjectModel", "SheepProtocol", "ObjectStore", "Authentication", "FrontendKit", "CLinux", nio, nioPosix, logging],
            swiftSettings: settings),
        .target(
            name: "FUSEFrontend", dependencies: ["ObjectModel", "FrontendKit", "CFuse3", "CLinux", nio, nioPosix, logging],
            path: "Sources/Frontends/FUSE", swiftSettings: settings),
        .target(
            name: "NBDFrontend", dependencies: ["ObjectModel", "FrontendKit", nio, nioPosix, logging],
            path: "Sources/Frontends/NBD", swiftSettings: settings),
        .target(
            name: "iSCSIBackingStoreFrontend", dependencies: ["ObjectModel", "FrontendKit", nio, nioPosix, logging],
            path: "Sources/Frontends/iSCSIBackingStore", swiftSettings: settings),
        // System libraries.
        .target(name: "CLinux"),
        .target(name: "CFuse3", linkerSettings: [.linkedLibrary("fuse3")]),
        .systemLibrary(name: "CIsal", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        .systemLibrary(name: "CNbd", pkgConfig: "libnbd", providers: [.apt(["libnbd-dev"])]),
        // The seeded world.
        .target(
            name: "Simulation",
            dependencies: [
                "ObjectModel", "SheepProtocol", "Cluster", "LocalEngine", "Viewstamped", "ObjectStore", "Gateway", "FrontendKit", nio,
                logging,
            ], swiftSettings: settings),
        // Programs.
        .executableTarget(
            name: "sheep",
            dependencies: [
                "ObjectModel", "SheepProtocol", "Cluster", "ObjectStore", "Gateway", "FrontendKit", "LocalEngine", "Transport",
                "Authentication", "NBDFrontend", "iSCSIBackingStoreFrontend", "CLinux", nio, nioPosix, arguments, logging,
            ], swiftSettings: settings, linkerSettings: staticRuntime),
        .executableTarget(
            name: "dog",
            dependencies: [
                "ObjectModel", "SheepProtocol", "Authentication", "Client", "FrontendKit", "Listings", "CNbd", nio, nioPosix, arguments],
            swiftSettings: settings, linkerSettings: staticRuntime),
        .executableTarget(
            name: "sheepfs",
            dependencies: [
                "ObjectModel", "SheepProtocol", "Authentication", "Client", "FrontendKit", "FUSEFrontend", "Listings", "CFuse3", "CLinux", nio, nioPosix, arguments,
                logging,
            ], swiftSettings: settings, linkerSettings: staticRuntime),
        .executableTarget(
            name: "bare-relay", dependencies: [nio, nioPosix, arguments], path: "Benchmarks/BareRelay", swiftSettings: settings,
            linkerSettings: staticRuntime),
        .executableTarget(
            name: "bare-passthrough", path: "Benchmarks/BarePassthrough", linkerSettings: [.linkedLibrary("fuse3")]),
        .executableTarget(name: "bare-store", path: "Benchmarks/BareStore"),
        .executableTarget(name: "simulate", dependencies: ["Simulation", arguments], swiftSettings: settings),
        // Tests.
        .testTarget(name: "ObjectModelTests", dependencies: ["ObjectModel"], swiftSettings: settings),
        .testTarget(name: "SheepProtocolTests", dependencies: ["SheepProtocol", "ObjectModel"], swiftSettings: settings),
        .testTarget(
            name: "AuthenticationTests",
            dependencies: ["ConformanceKit", "Authentication", "SheepProtocol", "ObjectModel", nio, nioEmbedded], swiftSettings: settings),
        .testTarget(name: "ClusterTests", dependencies: ["Cluster", "ObjectModel"], swiftSettings: settings),
        .testTarget(
            name: "LocalEngineTests", dependencies: ["LocalEngine", "Cluster", "ObjectModel"], swiftSettings: settings),
        .testTarget(
            name: "ViewstampedTests", dependencies: ["Viewstamped", "ObjectModel", "Simulation"], swiftSettings: settings),
        .testTarget(name: "ObjectStoreTests", dependencies: ["ObjectStore", "ObjectModel"], swiftSettings: settings),
        .testTarget(name: "SimulationTests", dependencies: ["Simulation"], swiftSettings: settings),
        .testTarget(
            name: "ClientTests",
            dependencies: ["ConformanceKit", "Client", "SheepProtocol", "ObjectStore", "FrontendKit", "ObjectModel", nio, nioPosix, logging],
            swiftSettings: settings),
        // What test targets share.
        .target(
            name: "ConformanceKit", dependencies: ["FrontendKit", "ObjectModel", "CLinux", "CNbd", nio], path: "Tests/ConformanceKit",
            swiftSettings: settings),
        .testTarget(
            name: "GatewayTests",
            dependencies: [
                "ConformanceKit", "Gateway", "Cluster", "ObjectStore", "LocalEngine", "Transport", "NBDFrontend", "FrontendKit",
                "SheepProtocol", "ObjectModel", nio, nioPosix, logging,
            ], swiftSettings: settings),
        .testTarget(
            name: "FUSEFrontendTests",
            dependencies: ["ConformanceKit", "FUSEFrontend", "FrontendKit", "ObjectModel", "CFuse3", "CLinux", nio, nioPosix, logging],
            swiftSettings: settings),
        .testTarget(
            name: "NBDFrontendTests",
            dependencies: ["ConformanceKit", "NBDFrontend", "FrontendKit", "ObjectModel", "CNbd", nio, nioPosix, nioEmbedded, logging],
            swiftSettings: settings),
        .testTarget(
            name: "iSCSIBackingStoreFrontendTests",
            dependencies: ["ConformanceKit", "iSCSIBackingStoreFrontend", "FrontendKit", "ObjectModel", nio, nioPosix, logging],
            swiftSettings: settings),
    ]
)

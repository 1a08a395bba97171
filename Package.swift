// swift-tools-version: 6.2
import PackageDescription

/// Every target is held to the same rules: language mode 6, explicit existentials, imports visible per file.
let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let package = Package(
    name: "sheepdog",
    targets: [
        // Values.
        .target(name: "ObjectModel", swiftSettings: settings),
        .target(name: "SheepProtocol", dependencies: ["ObjectModel"], swiftSettings: settings),
        // Deciders.
        .target(name: "Cluster", dependencies: ["ObjectModel"], swiftSettings: settings),
        .target(name: "ObjectStore", dependencies: ["ObjectModel", "CIsal", "CLinux"], swiftSettings: settings),
        // Doers.
        .target(
            name: "LocalEngine", dependencies: ["ObjectModel", "Cluster", "CLinux", "CIsal"],
            path: "Sources/ClusterEngines/Local", swiftSettings: settings),
        // System libraries.
        .target(name: "CLinux"),
        .systemLibrary(name: "CIsal", pkgConfig: "libisal", providers: [.apt(["libisal-dev"])]),
        // Tests.
        .testTarget(name: "ObjectModelTests", dependencies: ["ObjectModel", "SheepProtocol"], swiftSettings: settings),
        .testTarget(name: "ClusterTests", dependencies: ["Cluster", "ObjectModel"], swiftSettings: settings),
        .testTarget(
            name: "LocalEngineTests", dependencies: ["LocalEngine", "Cluster", "ObjectModel"], swiftSettings: settings),
        .testTarget(name: "ObjectStoreTests", dependencies: ["ObjectStore", "ObjectModel"], swiftSettings: settings),
    ]
)

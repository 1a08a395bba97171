/// The part of the tree that is always there. Raw values are the inode numbers.
package enum StaticNode: UInt64, CaseIterable {
    case root = 1
    case cluster, clusterInformation
    case node, nodeInformation, nodeList
    case volumeAdministration, volumeList, mount, unmount
    case volumes
    case configuration, pageCache, sheepInformation
    /// Reserved for objects of the HTTP gateway.
    case http

    package enum Kind: Hashable {
        case directory
        /// Made by the backend when it is opened.
        case report(FUSEReport)
        /// Taken line by line when it is written; shows what is set.
        case setting
    }

    package var kind: Kind {
        switch self {
        case .root, .cluster, .node, .volumeAdministration, .volumes, .configuration, .http: .directory
        case .clusterInformation: .report(.clusterInformation)
        case .nodeInformation: .report(.nodeSpace)
        case .nodeList: .report(.nodeList)
        case .volumeList: .report(.volumeList)
        case .mount, .unmount, .pageCache, .sheepInformation: .setting
        }
    }

    package var name: String {
        switch self {
        case .root: "/"
        case .cluster: "cluster"
        case .clusterInformation, .nodeInformation: "info"
        case .node: "node"
        case .nodeList, .volumeList: "list"
        case .volumeAdministration: "vdi"
        case .mount: "mount"
        case .unmount: "unmount"
        case .volumes: "volume"
        case .configuration: "config"
        case .pageCache: "page_cache"
        case .sheepInformation: "sheep_info"
        case .http: "http"
        }
    }

    package var parent: StaticNode {
        switch self {
        case .root, .cluster, .node, .volumeAdministration, .volumes, .configuration, .http: .root
        case .clusterInformation: .cluster
        case .nodeInformation, .nodeList: .node
        case .volumeList, .mount, .unmount: .volumeAdministration
        case .pageCache, .sheepInformation: .configuration
        }
    }

    package var children: [StaticNode] { Self.allCases.filter { $0 != .root && $0.parent == self } }

    package func child(_ name: String) -> StaticNode? { children.first { $0.name == name } }

    /// Type and permissions.
    package var mode: UInt32 {
        switch kind {
        case .directory: FileMode.directory | 0o755
        case .report: FileMode.regular | 0o444
        case .setting: FileMode.regular | 0o644
        }
    }

    /// The first inode number of volumes.
    package static let firstVolume: UInt64 = 1 << 16
}

/// The types of stat(2)'s mode.
package enum FileMode {
    package static let directory: UInt32 = 0o040000
    package static let regular: UInt32 = 0o100000
}

/// Sheepdog's cluster flags.
package enum ClusterFlags {
    package static let strict: UInt16 = 0x01
    package static let diskMode: UInt16 = 0x02
    package static let automaticVirtualNodes: UInt16 = 0x04
    package static let useLock: UInt16 = 0x08
    package static let recycleVID: UInt16 = 0x10
    package static let avoidDiskFull: UInt16 = 0x20
}

// The function app on Flex Consumption.
@description('Required. Name of the app.')
param name string

@description('Required. Region.')
param location string

@description('Required. Tags.')
param tags object

@description('Required. Resource id of the identity the app runs as.')
param identityId string

@description('Required. Client id of that identity.')
param identityClientId string

@description('Required. Name of the storage account.')
param storageName string

@description('Required. Container of the app\'s package.')
param packageContainer string

@description('Required. Address of the key vault.')
param keyVaultUrl string

@description('Required. Connection string of Application Insights.')
param insightsConnectionString string

@description('Required. Where workspaces with the backend azureMonitor are queried.')
param azureMonitorEndpoint string

@description('Required. Audience of the tokens that are accepted.')
param audience string

@description('Required. Name of the first workspace.')
param defaultWorkspace string

@description('Required. Memory of one instance, in MB.')
param instanceMemoryMB int

@description('Required. The most instances.')
param maximumInstanceCount int

@description('Optional. Secret that the front end sends beside a forwarded client certificate; empty where there is none.')
@secure()
param frontEndSecret string = ''

@description('Required. HTTP requests that one instance works on at a time.')
param httpConcurrency int

var blobEndpoint = 'https://${storageName}.blob.${environment().suffixes.storage}'
var queueEndpoint = 'https://${storageName}.queue.${environment().suffixes.storage}'
var tableEndpoint = 'https://${storageName}.table.${environment().suffixes.storage}'

// One connection for the host, one for the queue triggers; both are the identity.
var hostStorage = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__blobServiceUri: blobEndpoint
  AzureWebJobsStorage__queueServiceUri: queueEndpoint
  AzureWebJobsStorage__tableServiceUri: tableEndpoint
  OMS_STORAGE__credential: 'managedidentity'
  OMS_STORAGE__clientId: identityClientId
  OMS_STORAGE__blobServiceUri: blobEndpoint
  OMS_STORAGE__queueServiceUri: queueEndpoint
  OMS_STORAGE__tableServiceUri: tableEndpoint
}

var bundle = {
  OMS_STORAGE_BLOB_ENDPOINT: blobEndpoint
  OMS_STORAGE_QUEUE_ENDPOINT: queueEndpoint
  OMS_STORAGE_TABLE_ENDPOINT: tableEndpoint
  OMS_IDENTITY_CLIENT_ID: identityClientId
  OMS_BASE_URL: 'https://${name}.azurewebsites.net'
  OMS_DATA_DIR: '/tmp/oms'
  OMS_TENANT_ID: subscription().tenantId
  OMS_SUBSCRIPTION_ID: subscription().subscriptionId
  OMS_RESOURCE_GROUP: resourceGroup().name
  OMS_LOCATION: location
  OMS_DEFAULT_WORKSPACE: defaultWorkspace
  OMS_ISSUER: 'entra'
  OMS_AUDIENCE: audience
  OMS_AZURE_MONITOR_ENDPOINT: azureMonitorEndpoint
  OMS_KEY_VAULT_URL: keyVaultUrl
  OMS_APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  OMS_QUERY_PROCESSES: '2'
  OMS_QUERY_MEMORY_MB: string(instanceMemoryMB / 4)
  OMS_CACHE_MB: '1024'
  OMS_TAIL_LIMIT_MB: '512'
  OMS_TRUST_EASY_AUTH: 'false'
  OMS_FRONT_END_SECRET: frontEndSecret
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  PYTHON_THREADPOOL_THREAD_COUNT: string(httpConcurrency)
}

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    name: 'FC1'
    tier: 'FlexConsumption'
  }
  properties: {
    reserved: true
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'oms' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identityId}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${blobEndpoint}/${packageContainer}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: {
        name: 'python'
        version: '3.13'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      ftpsState: 'Disabled'
    }
  }

  resource settings 'config' = {
    name: 'appsettings'
    properties: union(hostStorage, bundle)
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: {
      allow: false
    }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: {
      allow: false
    }
  }
}

@description('Address of the app.')
output url string = 'https://${app.properties.defaultHostName}'

@description('Name of the app.')
output name string = app.name

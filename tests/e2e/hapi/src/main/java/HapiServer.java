import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.batch2.jobs.export.BulkDataExportProvider;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.MemoryBinaryStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.JpaSystemProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.rest.server.HardcodedServerAddressStrategy;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.io.IOException;
import java.util.Properties;
import javax.sql.DataSource;
import org.eclipse.jetty.ee10.servlet.ServletContextHandler;
import org.eclipse.jetty.ee10.servlet.ServletHolder;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.h2.jdbcx.JdbcConnectionPool;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;
import org.springframework.transaction.annotation.EnableTransactionManagement;

/**
 * A HAPI FHIR JPA server of R4 that forgets everything when it ends: H2 in memory, Jetty in this process, loopback only. It
 * prints {@code listening on PORT} once it answers, and ends when its standard input does.
 *
 * <p>System properties, each with the value that HAPI itself would choose unless said otherwise: {@code hapi.port} (0, any
 * free one), {@code hapi.cache} (true: an identical search within a minute gets the earlier answer), {@code hapi.tags}
 * (VERSIONED, NON_VERSIONED or INLINE), {@code hapi.page.default} (10) and {@code hapi.page.max} (50), {@code hapi.integrity}
 * (false here, so that a test may write a Task whose patient does not exist), {@code hapi.log} (WARN).
 */
@Configuration
@EnableTransactionManagement
@Import({
    SubscriptionChannelConfig.class, // not for subscriptions: it holds the broker client that batch jobs need
    ThreadPoolFactoryConfig.class,
    JpaR4Config.class,
    HapiJpaConfig.class,
    JpaBatch2Config.class,
    Batch2JobsConfig.class
})
public class HapiServer {

    public static void main(String[] arguments) throws Exception {
        Server jetty = new Server();
        ServerConnector connector = new ServerConnector(jetty);
        connector.setHost("127.0.0.1");
        connector.setPort(Integer.getInteger("hapi.port", 0));
        jetty.addConnector(connector);
        connector.open(); // takes the port before the links in answers are told which one it is

        RestfulServer fhir = restfulServer(new AnnotationConfigApplicationContext(HapiServer.class));
        String base = "http://127.0.0.1:" + connector.getLocalPort() + "/fhir";
        fhir.setServerAddressStrategy(new HardcodedServerAddressStrategy(base));
        ServletHolder holder = new ServletHolder(fhir);
        holder.setInitOrder(0); // with the server, not with the first request
        ServletContextHandler handler = new ServletContextHandler();
        handler.addServlet(holder, "/fhir/*");
        jetty.setHandler(handler);
        jetty.start();
        System.out.println("listening on " + connector.getLocalPort());
        endWithParent();
    }

    /** Whoever started us holds the other end of standard input: it closes even when that process is killed. */
    private static void endWithParent() throws IOException {
        while (System.in.read() >= 0) {
            continue;
        }
        Runtime.getRuntime().halt(0);
    }

    private static RestfulServer restfulServer(ApplicationContext beans) {
        RestfulServer fhir = new RestfulServer(beans.getBean(FhirContext.class));
        fhir.registerProviders(
                beans.getBean("myResourceProvidersR4", ResourceProviderFactory.class).createProviders());
        fhir.registerProviders(beans.getBean(JpaSystemProvider.class), beans.getBean(BulkDataExportProvider.class));
        fhir.setServerConformanceProvider(new JpaCapabilityStatementProvider(
                fhir,
                beans.getBean(IFhirSystemDao.class),
                beans.getBean(JpaStorageSettings.class),
                beans.getBean(ISearchParamRegistry.class),
                beans.getBean(IValidationSupport.class)));
        DatabaseBackedPagingProvider pages = beans.getBean(DatabaseBackedPagingProvider.class);
        pages.setDefaultPageSize(Integer.getInteger("hapi.page.default", pages.getDefaultPageSize()));
        pages.setMaximumPageSize(Integer.getInteger("hapi.page.max", pages.getMaximumPageSize()));
        fhir.setPagingProvider(pages);
        return fhir;
    }

    @Bean
    public JpaStorageSettings storageSettings() {
        JpaStorageSettings settings = new JpaStorageSettings();
        if (!enabled("hapi.cache", true)) {
            settings.setReuseCachedSearchResultsForMillis(null);
        }
        settings.setTagStorageMode(JpaStorageSettings.TagStorageModeEnum.valueOf(
                System.getProperty("hapi.tags", settings.getTagStorageMode().name())));
        settings.setEnforceReferentialIntegrityOnWrite(enabled("hapi.integrity", false));
        settings.setEnforceReferentialIntegrityOnDelete(enabled("hapi.integrity", false));
        settings.setExpungeEnabled(true);
        settings.setAllowMultipleDelete(true);
        return settings;
    }

    private static boolean enabled(String property, boolean otherwise) {
        return Boolean.parseBoolean(System.getProperty(property, String.valueOf(otherwise)));
    }

    @Bean
    public PartitionSettings partitionSettings() {
        return new PartitionSettings();
    }

    @Bean
    public SubscriptionSettings subscriptionSettings() {
        return new SubscriptionSettings();
    }

    @Bean
    public IBinaryStorageSvc binaryStorage() {
        return new MemoryBinaryStorageSvcImpl();
    }

    @Bean
    public DataSource dataSource() {
        JdbcConnectionPool pool = JdbcConnectionPool.create("jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1", "sa", "");
        pool.setMaxConnections(50); // ten, its own choice, starve when batch jobs and searches meet
        return pool;
    }

    @Bean
    public LocalContainerEntityManagerFactoryBean entityManagerFactory(
            ConfigurableListableBeanFactory beans, FhirContext fhir, JpaStorageSettings settings, DataSource source) {
        Properties hibernate = new Properties();
        hibernate.put("hibernate.dialect", HapiFhirH2Dialect.class.getName());
        hibernate.put("hibernate.hbm2ddl.auto", "update");
        hibernate.put("hibernate.search.enabled", "false");
        LocalContainerEntityManagerFactoryBean factory =
                HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, fhir, settings);
        factory.setPersistenceUnitName("hapi");
        factory.setDataSource(source);
        factory.setJpaProperties(hibernate);
        return factory;
    }

    /** Two names because HAPI asks for the first and Spring's annotations for the second. */
    @Bean({"hapiTransactionManager", "transactionManager"})
    public JpaTransactionManager transactionManager(EntityManagerFactory factory) {
        return new JpaTransactionManager(factory);
    }
}
